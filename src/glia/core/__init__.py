"""The ground: errors, results, protocols, names, seeds, hardware and safe files. Imports nothing above it."""
