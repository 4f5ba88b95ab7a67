//! What the caller, or a service account, may do: asked of the API server before anything is sent.

use std::collections::BTreeMap;
use std::fmt;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
    SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};

use super::Connection;
use crate::error::{Error, Result};

/// Requests that are under way at once: each needs a connection of its own.
pub const PARALLEL: usize = 16;

/// One thing that someone may do or not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// `get`, `patch`, ...
    pub verb: String,
    /// The API group, empty for the core group.
    pub group: String,
    /// The plural of the kind, with `/SUBRESOURCE` where it is one.
    pub resource: String,
    /// None for cluster-scoped kinds.
    pub namespace: Option<String>,
}

impl Right {
    /// A right on every object of a kind.
    pub fn new(verb: &str, group: &str, resource: &str, namespace: Option<&str>) -> Self {
        Right {
            verb: verb.to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.map(str::to_owned),
        }
    }

    /// `deployments.apps`
    pub fn kind(&self) -> String {
        let Right { group, resource, .. } = self;
        if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") }
    }

    fn attributes(&self) -> ResourceAttributes {
        let (resource, subresource) =
            self.resource.split_once('/').map_or((self.resource.as_str(), None), |(r, s)| (r, Some(s)));
        ResourceAttributes {
            verb: Some(self.verb.clone()),
            group: Some(self.group.clone()),
            resource: Some(resource.to_owned()),
            subresource: subresource.map(str::to_owned),
            namespace: self.namespace.clone(),
            ..ResourceAttributes::default()
        }
    }
}

/// As `kubectl auth can-i` takes it: `patch deployments.apps`.
impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.kind())
    }
}

/// Whether the server refused because of a right that is missing.
pub fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_forbidden())
}

/// None where the caller may not know; any other failure is one.
///
/// # Errors
/// The server cannot be reached, or fails for another reason.
pub fn known<T>(answer: kube::Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_forbidden(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Those of `rights` that the caller lacks, asked all at once (`SelfSubjectAccessReview`, which everyone may create).
///
/// # Errors
/// The server cannot be asked.
pub async fn denied_to_caller(connection: &Connection, mut rights: Vec<Right>) -> kube::Result<Vec<Right>> {
    rights.sort();
    rights.dedup();
    let api: Api<SelfSubjectAccessReview> = Api::all(connection.client.clone());
    let ask = |right: Right| {
        let api = api.clone();
        async move {
            let spec =
                SelfSubjectAccessReviewSpec { resource_attributes: Some(right.attributes()), ..Default::default() };
            let review = SelfSubjectAccessReview { spec, ..Default::default() };
            let answer = api.create(&PostParams::default(), &review).await?;
            Ok((right, answer.status.is_some_and(|status| status.allowed)))
        }
    };
    collect_denied(futures::stream::iter(rights).map(ask).buffered(PARALLEL)).await
}

/// Refuses where the caller lacks one of `rights`; `outcome` says what has become of the command by that.
///
/// # Errors
/// One is missing, or the server cannot be asked.
pub async fn require(connection: &Connection, rights: Vec<Right>, outcome: &str) -> Result<()> {
    let denied = denied_to_caller(connection, rights).await?;
    let mut by_namespace: BTreeMap<Option<&str>, Vec<String>> = BTreeMap::new();
    for right in &denied {
        by_namespace.entry(right.namespace.as_deref()).or_default().push(right.to_string());
    }
    let lacking = by_namespace.into_iter().map(|(namespace, rights)| {
        let place = namespace.map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
        format!("you lack rights{place}: {}", rights.join(", "))
    });
    let lacking: Vec<String> = lacking.collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(Error::could_not_run(format!("{outcome}: {}", lacking.join("; "))))
}

/// Those of `rights`, all in `namespace`, that a service account of it lacks (`LocalSubjectAccessReview`).
///
/// # Errors
/// The server cannot be asked, or the caller may not ask about others.
pub async fn denied_to_service_account(
    connection: &Connection,
    namespace: &str,
    account: &str,
    rights: Vec<Right>,
) -> kube::Result<Vec<Right>> {
    let answers = review(connection, namespace, account, rights).await?;
    Ok(answers.into_iter().filter(|(_, allowed)| !allowed).map(|(right, _)| right).collect())
}

/// Whether a service account has each of `rights`, all of them namespaced: `LocalSubjectAccessReview`, and where that may
/// not be created `SubjectAccessReview`.
///
/// The groups are those that every service account has: without them, bindings to groups would not count.
///
/// # Errors
/// The server cannot be asked, or the caller may not ask about others.
pub async fn review(
    connection: &Connection,
    account_namespace: &str,
    account: &str,
    rights: Vec<Right>,
) -> kube::Result<Vec<(Right, bool)>> {
    let ask = |right: Right| {
        let client = connection.client.clone();
        let spec = SubjectAccessReviewSpec {
            resource_attributes: Some(right.attributes()),
            user: Some(format!("system:serviceaccount:{account_namespace}:{account}")),
            groups: Some(vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{account_namespace}"),
                "system:authenticated".to_owned(),
            ]),
            ..Default::default()
        };
        async move {
            let namespace = right.namespace.clone().unwrap_or_default();
            let local: Api<LocalSubjectAccessReview> = Api::namespaced(client.clone(), &namespace);
            let mut review = LocalSubjectAccessReview { spec: spec.clone(), ..Default::default() };
            review.metadata.namespace = Some(namespace);
            let status = match local.create(&PostParams::default(), &review).await {
                Err(error) if is_forbidden(&error) => {
                    let everywhere: Api<SubjectAccessReview> = Api::all(client);
                    let review = SubjectAccessReview { spec, ..Default::default() };
                    match everywhere.create(&PostParams::default(), &review).await {
                        // The right in the namespace is what one is given.
                        Err(too) if is_forbidden(&too) => return Err(error),
                        answer => answer?.status,
                    }
                }
                answer => answer?.status,
            };
            Ok((right, status.is_some_and(|status| status.allowed)))
        }
    };
    futures::stream::iter(rights).map(ask).buffered(PARALLEL).try_collect().await
}

async fn collect_denied(
    mut answers: impl futures::Stream<Item = kube::Result<(Right, bool)>> + Unpin,
) -> kube::Result<Vec<Right>> {
    let mut denied = Vec::new();
    while let Some(answer) = answers.next().await {
        let (right, allowed) = answer?;
        if !allowed {
            denied.push(right);
        }
    }
    Ok(denied)
}
