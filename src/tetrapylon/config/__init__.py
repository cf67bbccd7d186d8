"""The config room: the model, the reading of files, and the checks of meaning."""
