"""Removes compiled modules of src/ whose source in ext/ has gone, so that nobody imports a ghost."""

from pathlib import Path

for built in Path("src").rglob("*.so"):
    module = built.relative_to("src").with_name(built.name.split(".")[0])
    if not Path("ext", module).with_suffix(".pyx").exists():
        built.unlink()
        print(f"removed {built}: no source")
