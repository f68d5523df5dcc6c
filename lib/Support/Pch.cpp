// Compiled once so that the precompiled header belongs to one target.
