//! Which Flink role a container plays, read from its command and arguments.
