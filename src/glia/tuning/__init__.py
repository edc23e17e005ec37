"""The search for good settings: populations thinned out rung by rung, in a study that processes share and resume.

``tune.tune`` searches, ``tuned.TunedEstimator`` is its form with scikit-learn's contract, ``space`` says what is
searched. Nothing is imported here, so that ``glia tune --help`` answers at once.
"""
