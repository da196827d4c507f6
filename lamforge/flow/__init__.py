"""The verbs as a library: one file each, a frozen request in, a frozen result out; no flags, no text, no printing."""
