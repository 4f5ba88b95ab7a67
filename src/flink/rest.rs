//! Flink's REST answers, as far as this program reads them.
