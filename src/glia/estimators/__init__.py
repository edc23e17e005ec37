"""The tasks, with scikit-learn's contract."""
