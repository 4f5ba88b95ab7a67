//! Flink versions: which ones this program knows, and what their options are called.

use std::fmt;
use std::str::FromStr;

use super::role::image_version;

/// The latest release of each minor version that the profile is made for.
const KNOWN: [Version; 9] = [
    Version::new(1, 16, 3),
    Version::new(1, 17, 2),
    Version::new(1, 18, 1),
    Version::new(1, 19, 3),
    Version::new(1, 20, 5),
    Version::new(2, 0, 2),
    Version::new(2, 1, 3),
    Version::new(2, 2, 1),
    Version::new(2, 3, 0),
];

/// Options that were renamed: the version that brought the new name, the new name, the old name, which it still reads.
/// (`HighAvailabilityOptions`, `RestartStrategyOptions`, `CheckpointingOptions` of flink-core 1.16.3 to 2.0.0.)
const RENAMED: [(Version, &str, &str); 5] = [
    (Version::new(1, 17, 0), "high-availability.type", "high-availability"),
    (Version::new(1, 17, 0), "restart-strategy.type", "restart-strategy"),
    (Version::new(1, 17, 0), "env.java.opts.all", "env.java.opts"),
    (Version::new(1, 20, 0), "execution.checkpointing.dir", "state.checkpoints.dir"),
    (Version::new(1, 20, 0), "execution.checkpointing.savepoint-dir", "state.savepoints.dir"),
];

/// A Flink release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Version {
    /// `major.minor.patch`.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Version { major, minor, patch }
    }

    /// The 1 of 1.20.5. HA state of one major version is not read by another.
    pub fn major(self) -> u32 {
        self.major
    }

    /// The version of an official image, from its tag: `apache/flink:1.20.5-scala_2.12-java17` is 1.20.5.
    /// None where the tag does not begin with a version that this program knows.
    pub fn of_image(image: &str) -> Option<Self> {
        image_version(image)?.parse().ok()
    }

    /// The minor version, the 20 of 1.20.5.
    pub fn minor(self) -> u32 {
        self.minor
    }

    /// Reads any version, known or not: `1.14`, which is taken for 1.14.0, `1.20.5`.
    pub fn lenient(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|number| number.parse::<u32>().ok());
        Some(Version::new(numbers.next()??, numbers.next()??, numbers.next().flatten().unwrap_or(0)))
    }

    /// Whether the configuration file is `config.yaml` (from 1.19 on), and not `flink-conf.yaml`.
    pub fn has_config_yaml(self) -> bool {
        self >= Version::new(1, 19, 0)
    }

    /// Whether Flink's own default configuration sets `env.java.opts.all`, which Java 17 needs (from 1.18 on, the first
    /// version that runs on Java 17).
    pub fn knows_java_17(self) -> bool {
        self >= Version::new(1, 18, 0)
    }

    /// What this version calls the option that is named `key` today.
    pub fn name_of(self, key: &str) -> &str {
        match RENAMED.iter().find(|(_, new, _)| *new == key) {
            Some((since, _, old)) if self < *since => old,
            _ => key,
        }
    }
}

/// The name of today for an option that was renamed; any other name as it is.
pub fn modern_name(key: &str) -> &str {
    RENAMED.iter().find(|(_, _, old)| *old == key).map_or(key, |(_, new, _)| new)
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Reads `1.20.5`, or `1.20` for the latest release of 1.20 that this program knows.
impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || {
            let minors: Vec<_> = KNOWN.iter().map(|v| format!("{}.{}", v.major, v.minor)).collect();
            format!(
                "{text:?} is no Flink version that is known here: write 1.20 or 1.20.5; known are {}",
                minors.join(", ")
            )
        };
        let numbers: Vec<u32> = text.split('.').map(str::parse).collect::<Result<_, _>>().map_err(|_| unknown())?;
        let (major, minor, patch) = match numbers[..] {
            [major, minor] => (major, minor, None),
            [major, minor, patch] => (major, minor, Some(patch)),
            _ => return Err(unknown()),
        };
        let latest = KNOWN.iter().find(|v| (v.major, v.minor) == (major, minor)).ok_or_else(unknown)?;
        Ok(patch.map_or(*latest, |patch| Version::new(major, minor, patch)))
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn reads_minor_and_patch_versions_and_refuses_what_it_does_not_know() {
        assert_eq!("1.20".parse(), Ok(Version::new(1, 20, 5)));
        assert_eq!("1.20.1".parse(), Ok(Version::new(1, 20, 1)));
        for bad in ["", "1", "1.15.4", "2.9.0", "1.20.x", "latest", "1.20.5.1", "v1.20.5"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }

    #[test]
    fn finds_the_version_in_an_image_tag() {
        for (image, version) in [
            ("apache/flink:1.20.5", Some(Version::new(1, 20, 5))),
            ("flink:2.3.0-scala_2.12-java17", Some(Version::new(2, 3, 0))),
            ("registry:5000/team/flink:1.16-java11@sha256:00", Some(Version::new(1, 16, 3))),
            ("registry:5000/team/flink", None),
            ("mine:latest", None),
        ] {
            assert_eq!(Version::of_image(image), version, "{image}");
        }
    }

    #[test]
    fn spells_options_as_the_version_does() {
        assert_eq!(Version::new(1, 16, 3).name_of("high-availability.type"), "high-availability");
        assert_eq!(Version::new(1, 17, 0).name_of("high-availability.type"), "high-availability.type");
        assert_eq!(Version::new(1, 19, 3).name_of("execution.checkpointing.dir"), "state.checkpoints.dir");
        assert_eq!(Version::new(2, 3, 0).name_of("execution.checkpointing.dir"), "execution.checkpointing.dir");
        assert_eq!(Version::new(2, 3, 0).name_of("rest.port"), "rest.port");
    }
}
