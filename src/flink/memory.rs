//! Memory sizes as Flink writes them, and whether a process of a size can start.

use std::fmt;
use std::str::FromStr;

use super::config::Configuration;

const MIB: u64 = 1 << 20;

/// The configuration key of the JobManager's whole size.
pub const JOBMANAGER_PROCESS_SIZE: &str = "jobmanager.memory.process.size";
/// The configuration key of a TaskManager's whole size.
pub const TASKMANAGER_PROCESS_SIZE: &str = "taskmanager.memory.process.size";

/// A number of bytes. In Flink `m` is 2^20 bytes, where in Kubernetes `M` is 10^6 and `Mi` is 2^20.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MemorySize {
    bytes: u64,
}

impl MemorySize {
    /// This many mebibytes.
    pub const fn mebibytes(count: u64) -> Self {
        MemorySize { bytes: count * MIB }
    }

    /// This many bytes.
    pub const fn of_bytes(bytes: u64) -> Self {
        MemorySize { bytes }
    }

    /// Its bytes.
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    /// As a Kubernetes quantity of exactly this many bytes.
    pub fn quantity(self) -> String {
        if self.bytes.is_multiple_of(MIB) { format!("{}Mi", self.bytes / MIB) } else { self.bytes.to_string() }
    }

    /// To whole mebibytes, upwards, for people to read.
    #[must_use]
    pub fn rounded(self) -> MemorySize {
        MemorySize::mebibytes(self.bytes.div_ceil(MIB))
    }

    fn fraction(self, fraction: f64, min: MemorySize, max: MemorySize) -> MemorySize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "Flink computes this with a double too (ProcessMemoryUtils, MemorySize.multiply)"
        )]
        let bytes = (self.bytes as f64 * fraction) as u64;
        // Not `clamp`, which panics where someone configured a minimum above the maximum.
        MemorySize { bytes: bytes.max(min.bytes).min(max.bytes) }
    }
}

/// As Flink writes it: `1600m`.
impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bytes.is_multiple_of(MIB) { write!(f, "{}m", self.bytes / MIB) } else { write!(f, "{}b", self.bytes) }
    }
}

/// As Flink reads it (`MemorySize.parse`): a whole number and a unit, without one bytes.
impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{text:?} is no memory size that Flink reads: {why}; write 1600m or 2g");
        let trimmed = text.trim();
        let digits = trimmed.len() - trimmed.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = trimmed.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong("it has to begin with a whole number"))?;
        let shift = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" | "bytes" => 0,
            "k" | "kb" | "kibibytes" => 10,
            "m" | "mb" | "mebibytes" => 20,
            "g" | "gb" | "gibibytes" => 30,
            "t" | "tb" | "tebibytes" => 40,
            "mi" | "gi" | "ki" | "ti" => return Err(wrong("Flink has no Ki, Mi or Gi, its m and g mean the same")),
            unit if unit.starts_with('.') => return Err(wrong("it takes whole numbers only")),
            unit => return Err(wrong(&format!("{unit:?} is no unit"))),
        };
        let bytes = number.checked_mul(1 << shift).ok_or_else(|| wrong("it is too large"))?;
        Ok(MemorySize { bytes })
    }
}

/// What is left of a process of this size after the JVM's own parts.
fn flink_memory(configuration: &Configuration, prefix: &str, process: MemorySize) -> Result<MemorySize, String> {
    let size = |key: &str, default| option_size(configuration, &format!("{prefix}.{key}"), default);
    let metaspace = size("jvm-metaspace.size", MemorySize::mebibytes(256))?;
    let min = size("jvm-overhead.min", MemorySize::mebibytes(192))?;
    let max = size("jvm-overhead.max", MemorySize::mebibytes(1024))?;
    let fraction = option_fraction(configuration, &format!("{prefix}.jvm-overhead.fraction"), 0.1)?;
    let overhead = process.fraction(fraction, min, max);
    process.bytes.checked_sub(metaspace.bytes + overhead.bytes).filter(|left| *left > 0).map(|bytes| MemorySize { bytes }).ok_or_else(|| {
        format!(
            "{prefix}.process.size is {process}, but JVM metaspace ({metaspace}) and JVM overhead ({overhead}) alone \
             take {}",
            MemorySize { bytes: metaspace.bytes + overhead.bytes }.rounded()
        )
    })
}

/// Checks that a JobManager can start with this configuration (`JobManagerProcessUtils`).
///
/// # Errors
/// What does not fit, in the sizes that it comes from.
pub fn check_jobmanager(configuration: &Configuration) -> Result<(), String> {
    let prefix = "jobmanager.memory";
    let process = option_size(configuration, JOBMANAGER_PROCESS_SIZE, MemorySize::mebibytes(1600))?;
    let flink = flink_memory(configuration, prefix, process)?;
    let off_heap = option_size(configuration, "jobmanager.memory.off-heap.size", MemorySize::mebibytes(128))?;
    // Flink only warns below 128m of heap (JobManagerOptions.MIN_JVM_HEAP_SIZE), and then runs out of it.
    let heap = flink.bytes.saturating_sub(off_heap.bytes);
    if heap < 128 * MIB {
        return Err(format!(
            "{JOBMANAGER_PROCESS_SIZE} is {process}, which leaves {} for the heap: at least 128m are needed, \
             that is {} in all",
            MemorySize { bytes: heap },
            MemorySize { bytes: process.bytes + 128 * MIB - heap + (off_heap.bytes.saturating_sub(flink.bytes)) }
        ));
    }
    Ok(())
}

/// Checks that a TaskManager can start with this configuration (`TaskExecutorProcessUtils`).
///
/// # Errors
/// What does not fit, in the sizes that it comes from.
pub fn check_taskmanager(configuration: &Configuration) -> Result<(), String> {
    let size = |key: &str, default| option_size(configuration, &format!("taskmanager.memory.{key}"), default);
    let process = option_size(configuration, TASKMANAGER_PROCESS_SIZE, MemorySize::mebibytes(1728))?;
    let flink = flink_memory(configuration, "taskmanager.memory", process)?;
    let framework_heap = size("framework.heap.size", MemorySize::mebibytes(128))?;
    let framework_off_heap = size("framework.off-heap.size", MemorySize::mebibytes(128))?;
    let task_off_heap = size("task.off-heap.size", MemorySize::mebibytes(0))?;
    let unlimited = MemorySize { bytes: u64::MAX };
    let network = flink.fraction(
        option_fraction(configuration, "taskmanager.memory.network.fraction", 0.1)?,
        size("network.min", MemorySize::mebibytes(64))?,
        size("network.max", unlimited)?,
    );
    let managed = match configuration.get("taskmanager.memory.managed.size") {
        Some(_) => size("managed.size", MemorySize::mebibytes(0))?,
        None => flink.fraction(
            option_fraction(configuration, "taskmanager.memory.managed.fraction", 0.4)?,
            MemorySize { bytes: 0 },
            unlimited,
        ),
    };
    let parts = framework_heap.bytes + framework_off_heap.bytes + task_off_heap.bytes + network.bytes + managed.bytes;
    if parts > flink.bytes {
        return Err(format!(
            "{TASKMANAGER_PROCESS_SIZE} is {process}, which leaves {} for Flink; its framework heap \
             ({framework_heap}), framework off-heap ({framework_off_heap}), managed ({}) and network memory ({}) need {}: \
             raise it (with Flink's defaults to 984m or more)",
            flink.rounded(),
            managed.rounded(),
            network.rounded(),
            MemorySize { bytes: parts }.rounded()
        ));
    }
    Ok(())
}

fn option_size(configuration: &Configuration, key: &str, default: MemorySize) -> Result<MemorySize, String> {
    configuration.get(key).map_or(Ok(default), |text| text.parse().map_err(|e| format!("{key}: {e}")))
}

fn option_fraction(configuration: &Configuration, key: &str, default: f64) -> Result<f64, String> {
    configuration.get(key).map_or(Ok(default), |text| text.parse().map_err(|_| format!("{key}: {text:?} is no number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(entries: &[(&str, &str)]) -> Configuration {
        let mut configuration = Configuration::default();
        for (key, value) in entries {
            configuration.set(*key, *value);
        }
        configuration
    }

    #[test]
    fn reads_sizes_as_flink_does() {
        for (text, quantity) in [("1600m", "1600Mi"), ("2g", "2048Mi"), ("1 GB", "1024Mi"), ("1000", "1000")] {
            assert_eq!(text.parse::<MemorySize>().unwrap().quantity(), quantity);
        }
        for bad in ["", "1.5GB", "m", "-1m", "2Gi", "10x", "99999999999t"] {
            assert!(bad.parse::<MemorySize>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_jobmanager_needs_heap() {
        let check = |size| check_jobmanager(&configuration(&[(JOBMANAGER_PROCESS_SIZE, size)]));
        assert_eq!(check("1600m"), Ok(()));
        assert_eq!(check("704m"), Ok(()));
        assert!(check("703m").unwrap_err().contains("704m in all"), "{:?}", check("703m"));
        assert!(check("500m").unwrap_err().contains("704m in all"), "{:?}", check("500m"));
        assert!(check("400m").unwrap_err().contains("JVM overhead"));
    }

    #[test]
    fn a_taskmanager_needs_room_for_its_parts() {
        let check = |entries: &[(&str, &str)]| check_taskmanager(&configuration(entries));
        assert_eq!(check(&[(TASKMANAGER_PROCESS_SIZE, "1728m")]), Ok(()));
        assert_eq!(check(&[(TASKMANAGER_PROCESS_SIZE, "984m")]), Ok(()));
        assert!(check(&[(TASKMANAGER_PROCESS_SIZE, "900m")]).is_err());
        assert_eq!(check(&[(TASKMANAGER_PROCESS_SIZE, "900m"), ("taskmanager.memory.managed.size", "32m")]), Ok(()));
    }
}
