//! What each status comes to, for each event that can bring it: computed, for the documentation.
