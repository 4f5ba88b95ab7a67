//! Flink's high-availability ConfigMaps: their names and what stands in them, by generation.
