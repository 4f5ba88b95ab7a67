//! What a cluster made by this program may be called.

/// The longest cluster-id that Flink takes for a native cluster
/// (`KubernetesConfigOptions`: "kubernetes.cluster-id must be no more than 45 characters.").
pub const MAX_LENGTH: usize = 45;

/// Checks a NAME: it is Flink's cluster-id and begins the names of Services, so it has to be a DNS-1035 label
/// (RFC 1035: lower-case letters, digits and `-`, beginning with a letter, not ending in `-`) of at most
/// [`MAX_LENGTH`] characters. Newer API servers let a Service's name begin with a digit; older ones do not.
///
/// # Errors
/// The rule that the name breaks, as a sentence.
pub fn check(name: &str) -> Result<String, String> {
    let rule = if name.is_empty() {
        "it is empty".to_owned()
    } else if name.len() > MAX_LENGTH {
        format!("it has {} characters, and Flink takes at most {MAX_LENGTH}", name.chars().count())
    } else if let Some(c) = name.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        format!("it has {c:?}: only a-z, 0-9 and '-' may be in it")
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        "it has to begin with a letter, because Services are named after it".to_owned()
    } else if name.ends_with('-') {
        "it must not end with '-'".to_owned()
    } else {
        return Ok(name.to_owned());
    };
    Err(format!("{name:?} cannot be a cluster's name: {rule}"))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn takes_dns_1035_labels_of_up_to_45_characters() {
        for good in ["f", "flink", "a-b-1", &"a".repeat(45)] {
            assert_eq!(check(good).as_deref(), Ok(good));
        }
        for bad in ["", "Flink", "a_b", "a.b", "1abc", "abc-", "-abc", "ä", &"a".repeat(46)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
