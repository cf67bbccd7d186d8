"""The compiled data plane. One `.pyi` a module says what each offers to Python."""
