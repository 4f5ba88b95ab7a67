//! FLK311: a probe that does not speak the TLS of the REST API.

use k8s_openapi::api::core::v1::Probe;

use super::{Ports, REST, resolve};
use crate::doctor::known::Known;
use crate::doctor::model::config::{Config, Entry};
use crate::doctor::rule::{Check, rule};

rule! {
    /// The REST API speaks TLS, and a probe of the pod does not
    ///
    /// ## Why it matters
    ///
    /// With `security.ssl.rest.enabled: true` the REST port takes TLS only. The kubelet's `httpGet` is plain HTTP unless it says
    /// `scheme: HTTPS`, and has no certificate to show where `security.ssl.rest.authentication-enabled` asks for one. The pod
    /// never becomes ready, or is restarted for ever:
    ///
    /// ```text
    /// io.netty.handler.ssl.NotSslRecordException: not an SSL/TLS record
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - {name: FLINK_PROPERTIES, value: "security.ssl.rest.enabled: true"}
    ///         readinessProbe: {httpGet: {path: /config, port: 8081}}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - {name: FLINK_PROPERTIES, value: "security.ssl.rest.enabled: true"}
    ///         readinessProbe: {httpGet: {path: /config, port: 8081, scheme: HTTPS}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `scheme: HTTPS` in the probe; where clients have to show a certificate, probe the port with `tcpSocket`.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/security/security-ssl/>
    FLK311 "rest-tls": Network Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (_, member) in cx.members() {
        let Some((_, container)) = member.container().filter(|_| member.is_jobmanager()) else { continue };
        let Some(tls) = enabled(&member.config, &["security.ssl.rest.enabled", "security.ssl.enabled"]) else {
            continue;
        };
        let mutual = enabled(&member.config, &["security.ssl.rest.authentication-enabled"]);
        let Known::Present(rest) = Ports::of(&member.config, REST) else { continue };
        let kinds: [(&str, &Option<Probe>); 3] = [
            ("startupProbe", &container.startup_probe),
            ("livenessProbe", &container.liveness_probe),
            ("readinessProbe", &container.readiness_probe),
        ];
        for (kind, probe) in kinds {
            let Some(get) = probe.as_ref().and_then(|probe| probe.http_get.as_ref()) else { continue };
            let of_rest = resolve(cx, member, &get.port).is_some_and(|(number, _)| rest.contains(number));
            let secure = get.scheme.as_deref() == Some("HTTPS");
            if !of_rest || (secure && mutual.is_none()) {
                continue;
            }
            let (message, help) = match mutual {
                Some(_) => ("has no certificate, which the REST API asks for", "probe the port with tcpSocket"),
                None => ("is plain HTTP, but the REST API speaks TLS", "set scheme: HTTPS in its httpGet"),
            };
            let entry = mutual.unwrap_or(tls);
            cx.report(member.in_container(&format!("{kind}/httpGet")), format!("the {kind} {message}"))
                .help(help)
                .related(entry.place.clone(), format!("{} is true", entry.key));
        }
    }
}

fn enabled<'a>(config: &'a Config, keys: &[&str]) -> Option<&'a Entry> {
    config.get(keys).filter(|entry| entry.value.trim().eq_ignore_ascii_case("true"))
}
