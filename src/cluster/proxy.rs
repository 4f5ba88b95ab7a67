//! The proxy on the way to the API server.

use std::net::IpAddr;

use http::Uri;
use ipnet::IpNet;

use crate::error::{Error, Result};

/// The kubeconfig's proxy, else that of the environment, by Go's rules: none for this machine itself, and none for what
/// `NO_PROXY` names. (kube looks for the proxy's own name in it.)
pub(super) fn of(of_kubeconfig: Option<&str>, server: &Uri) -> Result<Option<Uri>> {
    let variable = |name: &str| {
        let values = [name.to_owned(), name.to_lowercase()].into_iter().filter_map(|name| std::env::var(name).ok());
        values.into_iter().find(|value| !value.is_empty())
    };
    let of_environment = || {
        let host = server.host()?.trim_matches(['[', ']']);
        let is_plain = server.scheme_str() == Some("http");
        if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
            return None;
        }
        let proxy = variable(if is_plain { "HTTP_PROXY" } else { "HTTPS_PROXY" })?;
        let port = server.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
        let exempt = variable("NO_PROXY").is_some_and(|list| is_exempt(&list, host, port));
        Some(proxy).filter(|_| !exempt)
    };
    let proxy = of_kubeconfig.filter(|proxy| !proxy.is_empty()).map(str::to_owned).or_else(of_environment);
    let Some(proxy) = proxy else { return Ok(None) };
    let unusable = |why: &dyn std::fmt::Display| {
        // Before the host there may be a password.
        let shown = proxy.rsplit_once('@').map_or(proxy.as_str(), |(_, host)| host);
        Error::could_not_run(format!("the proxy {shown:?} {why}"))
            .hint("it stands in the kubeconfig (proxy-url) or in HTTPS_PROXY")
    };
    let (scheme, rest) = proxy.split_once("://").unwrap_or(("http", &proxy));
    // With both, it is the proxy that looks names up.
    let scheme = if scheme == "socks5h" { "socks5" } else { scheme };
    if !["http", "https", "socks5"].contains(&scheme) {
        return Err(unusable(&"is of a kind that is not supported: http, https and socks5 are"));
    }
    format!("{scheme}://{rest}").parse().map(Some).map_err(|e| unusable(&format_args!("is no address: {e}")))
}

/// Whether `NO_PROXY` names this server, as Go reads it: `*`, addresses, networks, and domains with all that is in them, or
/// without themselves if they begin with a dot; all but networks with or without a port.
fn is_exempt(no_proxy: &str, host: &str, port: u16) -> bool {
    let (host, ip) = (host.to_lowercase(), host.parse::<IpAddr>().ok());
    no_proxy.split(',').any(|entry| {
        let entry = entry.trim().to_lowercase();
        if entry == "*" {
            return true;
        }
        if let Ok(network) = entry.parse::<IpNet>() {
            return ip.is_some_and(|ip| network.contains(&ip));
        }
        // The colons of an IPv6 address begin no port.
        let (name, of_port) = match entry.rsplit_once(':') {
            Some((name, of_port)) if !name.contains(':') || name.ends_with(']') => (name, Some(of_port)),
            _ => (entry.as_str(), None),
        };
        if of_port.is_some_and(|of_port| of_port != port.to_string()) {
            return false;
        }
        match (ip, name.trim_matches(['[', ']']).parse::<IpAddr>()) {
            (Some(ip), named) => named == Ok(ip),
            (None, Ok(_)) => false,
            (None, Err(_)) => match name.strip_prefix("*.").or_else(|| name.strip_prefix('.')) {
                Some(domain) => is_in(&host, domain),
                None => host == name || is_in(&host, name),
            },
        }
    })
}

/// Whether a host is in a domain and not that domain itself.
fn is_in(host: &str, domain: &str) -> bool {
    !domain.is_empty() && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_is_read_as_go_reads_it() {
        for (no_proxy, exempt) in [
            ("*", true),
            (" other.org , * ", true),
            ("api.example.com", true),
            ("API.Example.com", true),
            ("api.example.com:6443", true),
            ("api.example.com:443", false),
            ("example.com", true),
            (".example.com", true),
            ("*.example.com", true),
            ("*.example.com:6443", true),
            (".com:443", false),
            // A domain that begins with a dot is not that host itself.
            (".api.example.com", false),
            ("*.api.example.com", false),
            ("ample.com", false),
            ("10.0.0.0/8", false),
            ("10.1.2.3", false),
            (",,:6443,", false),
        ] {
            assert_eq!(is_exempt(no_proxy, "api.example.com", 6443), exempt, "{no_proxy}");
        }
        for (no_proxy, host, exempt) in [
            ("*", "10.1.2.3", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/16", "10.1.2.3", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3:443", "10.1.2.3", true),
            ("10.1.2.3:6443", "10.1.2.3", false),
            (".3", "10.1.2.3", false),
            ("fd00::/8", "fd00::7", true),
            ("fd00::7", "fd00::7", true),
            ("[fd00::7]:443", "fd00::7", true),
            ("[fd00::7]:6443", "fd00::7", false),
        ] {
            assert_eq!(is_exempt(no_proxy, host, 443), exempt, "{no_proxy} {host}");
        }
    }
}
