"""What `tetrapylon assess` ships of the results: CPU time, its ratios round by round, memory."""

import json
from statistics import median

from .e2e import summary
from .e2e.load import SMALL
from .e2e.results import Results

# What a team would write and read with each.
WRITTEN_IN = {
    "tetrapylon": "Python",
    "tetrapylon-log": "Python",
    "flask": "Python",
    "flask-4": "Python",
    "go": "Go",
    "go-pool": "Go",
}
CONFIG = "configuration"
LEFT_OUT = {"direct", "tetrapylon-log"}


def figures(results: Results) -> str:
    """The JSON of src/tetrapylon/assess/measured.json."""
    names = [one.name for one in results.systems if one.compared and one.name not in LEFT_OUT]
    systems = {}
    for one in results.systems:
        cost = summary.values(results, one.name, SMALL.name, summary.cpu)
        memory = [row.pss for row in results.footprints if row.system == one.name]
        if one.name not in names or cost is None or not memory:
            continue
        ratios = {}
        for base in names:
            found = summary.ratio(results.runs, SMALL.name, summary.cpu, one.name, base)
            if found is not None and base != one.name:
                ratios[base] = [float(f"{each:.4g}") for each in (found.median, found.low, found.high)]
        systems[one.name] = {
            "title": one.title,
            "written_in": WRITTEN_IN.get(one.name, CONFIG),
            "cpu_us": float(f"{cost.median:.4g}"),
            "memory": median(memory),
            "ratios": ratios,
        }
    told = {
        "source": "benchmarks/e2e/results.json",
        "date": results.meta["date"],
        "machine": f"{results.meta['cpu']}, {results.meta['cores']} cores",
        "what": "plain proxying of a GET with 203 bytes of JSON",
        "systems": systems,
    }
    return json.dumps(told, indent=1) + "\n"
