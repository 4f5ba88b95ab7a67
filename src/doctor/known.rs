//! Facts of three states: what is there, what is not, and what cannot be told.

/// A fact. A rule that needs something to be absent must not fire on what is unknown: "not in these files" is not "does
/// not exist".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known<T> {
    /// It is there.
    Present(T),
    /// It is not there.
    Absent,
    /// It cannot be told, for this reason.
    Unknown(String),
}

impl<T> Known<T> {
    /// What is there, if it is.
    pub fn present(self) -> Option<T> {
        match self {
            Known::Present(value) => Some(value),
            Known::Absent | Known::Unknown(_) => None,
        }
    }

    /// It is known not to be there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Known::Absent)
    }

    /// What is there, changed.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Known::Present(value) => Known::Present(change(value)),
            Known::Absent => Known::Absent,
            Known::Unknown(why) => Known::Unknown(why),
        }
    }
}
