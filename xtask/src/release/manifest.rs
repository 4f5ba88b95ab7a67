//! The manifest that krew installs the plugin by: made from the archives, so that it has their checksums.

use super::Packed;

/// Where a release's files are, each version in a folder of its own.
pub(super) const DOWNLOADS: &str = "https://github.com/kubectl-flink/kubectl-flink/releases/download";

/// All but the platforms. krew-index wants short descriptions, and in a description no commands.
const HEAD: &str = "\
# What krew installs the plugin by. `cargo xtask release` makes it from the archives that it has packed.
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: flink
spec:
  version: @VERSION@
  homepage: https://github.com/kubectl-flink/kubectl-flink
  shortDescription: Run highly available Apache Flink clusters
  description: |
    Brings up highly available Apache Flink session clusters without an
    operator and without Java: waits until they really serve, shows who leads,
    which jobs run and where their state is kept, finds what is wrong in
    manifests and live and says how to mend it, renders the manifests for
    GitOps, takes the clusters down without losing what can be recovered, and
    cleans up the high-availability data that clusters have left behind.
  caveats: |
    To complete `kubectl flink` with TAB, wherever kubectl completes itself:
      kubectl flink completion install
  platforms:
";

/// The manifest of a version such as v0.1.0, whose archives are in a folder of its name under `downloads`.
pub(super) fn render(version: &str, downloads: &str, packed: &[Packed]) -> String {
    let platforms = packed.iter().map(|Packed { platform, sha256 }| {
        format!(
            "    - selector:
        matchLabels:
          os: {}
          arch: {}
      uri: {downloads}/{version}/{}
      sha256: {sha256:?}
      bin: {}
",
            platform.os,
            platform.arch,
            platform.archive(),
            platform.program(),
        )
    });
    HEAD.replace("@VERSION@", version) + &platforms.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::super::platform::PLATFORMS;
    use super::*;

    #[test]
    fn the_manifest_in_the_repository_is_what_is_rendered_with_its_version_and_sums() {
        let there = include_str!("../../../krew-manifest.yaml");
        let values = |key: &str| -> Vec<&str> {
            there
                .lines()
                .filter_map(|line| line.trim().strip_prefix(key))
                .map(|value| value.trim_matches('"'))
                .collect()
        };
        let sums = values("sha256: ");
        assert_eq!(sums.len(), PLATFORMS.len());
        assert!(sums.iter().all(|sum| sum.len() == 64 && sum.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))));
        let packed =
            PLATFORMS.iter().zip(sums).map(|(platform, sum)| Packed { platform: *platform, sha256: sum.into() });
        let version = values("version: ");
        assert_eq!(there, render(version[0], DOWNLOADS, &packed.collect::<Vec<_>>()));
    }

    #[test]
    fn descriptions_are_as_krew_index_wants_them() {
        let short = HEAD.lines().find_map(|line| line.trim().strip_prefix("shortDescription: ")).unwrap();
        assert!(short.len() <= 50, "{short}");
        assert!(["kubectl", "plugin"].iter().all(|word| !short.to_lowercase().contains(word)), "{short}");
        let description = HEAD.lines().skip_while(|line| line.trim() != "description: |");
        assert!(description.clone().count() > 2);
        assert!(description.clone().all(|line| line.len() <= 80));
    }
}
