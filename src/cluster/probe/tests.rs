use sha2::{Digest, Sha256};

use super::*;

/// plugin/probe/README.md says how the class is made again.
#[test]
fn the_class_belongs_to_its_source() {
    let source = include_str!("../../../plugin/probe/StorageProbe.java");
    let class = include_bytes!("../../../plugin/probe/StorageProbe.class");
    let sum = Sha256::digest(source).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert!(
        class.windows(sum.len()).any(|part| part == sum.as_bytes()),
        "plugin/probe/StorageProbe.class is not of this source: cargo xtask probe"
    );
    // Java 8, the oldest that a Flink image has.
    assert_eq!(class[..8], [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52]);
}

#[test]
fn local_paths_and_others() {
    let (own, others) = split(["file:/a/b", "s3://b/c", "file:///d//e/", "/f g", "hdfs:///x"]);
    assert_eq!(own, ["/a/b", "/d//e", "/f g"]);
    assert_eq!(others, ["s3://b/c", "hdfs:///x"]);
}

#[test]
fn names_differ() {
    let (one, other) = (random(), random());
    assert_ne!(one, other);
    assert_eq!((one.len(), other.len()), (10, 10));
    assert!(one.chars().all(|c| c.is_ascii_hexdigit()));
}

#[test]
fn time_that_is_left() {
    let now = Instant::now();
    assert_eq!(left(now - Duration::from_secs(1)), 1);
    assert!((8..=9).contains(&left(now + Duration::from_millis(9500))));
}
