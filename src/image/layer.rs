//! Owns the layer writer: a deterministic tar of the entries it is given.
