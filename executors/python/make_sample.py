"""Makes the sample that `taskrpc demo` imports: synthetic, FHIR-like, the same bytes at every run.

    python executors/python/make_sample.py [DIRECTORY]

Nobody in it exists: names, dates and values are drawn from short lists by a generator with a fixed seed.
"""

import gzip
import json
import random
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

Resource = dict[str, Any]

ORGANIZATIONS, PRACTITIONERS, PATIENTS, ENCOUNTERS, OBSERVATIONS = 40, 240, 1_500, 3_000, 6_000

GIVEN = [
    "Ada",
    "Alan",
    "Barbara",
    "Blaise",
    "Edsger",
    "Emmy",
    "Grace",
    "Hedy",
    "Katherine",
    "Leonhard",
    "Sofia",
]
FAMILY = ["Abel", "Banach", "Cantor", "Euler", "Fermat", "Galois", "Hilbert", "Klein", "Noether", "Riemann"]
CITIES = ["Arles", "Bergen", "Cork", "Delft", "Evora", "Freiberg", "Gdansk", "Hvar", "Ioannina", "Jena"]
REASONS = ["Check-up", "Cough", "Fever", "Follow-up", "Headache", "Immunization", "Sprain"]
# LOINC code, name, unit, mean, spread.
MEASURES = [
    ("8302-2", "Body height", "cm", 170.0, 10.0),
    ("29463-7", "Body weight", "kg", 72.0, 12.0),
    ("8310-5", "Body temperature", "Cel", 36.8, 0.5),
    ("8867-4", "Heart rate", "/min", 72.0, 9.0),
    ("8480-6", "Systolic blood pressure", "mm[Hg]", 122.0, 13.0),
]
EPOCH = datetime(2020, 1, 1)


def organizations(dice: random.Random) -> Iterator[Resource]:
    for number in range(ORGANIZATIONS):
        city = dice.choice(CITIES)
        name = f"{city} {dice.choice(['Clinic', 'Hospital', 'Practice'])} {number + 1}"
        yield {
            "resourceType": "Organization",
            "id": f"org-{number}",
            "name": name,
            "address": [{"city": city}],
        }


def practitioners(dice: random.Random) -> Iterator[Resource]:
    for number in range(PRACTITIONERS):
        name = [{"family": dice.choice(FAMILY), "given": [dice.choice(GIVEN)], "prefix": ["Dr."]}]
        yield {
            "resourceType": "Practitioner",
            "id": f"prac-{number}",
            "active": dice.random() < 0.9,
            "name": name,
        }


def patients(dice: random.Random) -> Iterator[Resource]:
    for number in range(PATIENTS):
        yield {
            "resourceType": "Patient",
            "id": f"pat-{number}",
            "name": [{"family": dice.choice(FAMILY), "given": [dice.choice(GIVEN)]}],
            "gender": dice.choice(["female", "male", "other"]),
            "birthDate": (EPOCH - timedelta(days=dice.randrange(90 * 365))).date().isoformat(),
            "address": [{"city": dice.choice(CITIES), "country": "Nowhere"}],
            "managingOrganization": {"reference": f"Organization/org-{dice.randrange(ORGANIZATIONS)}"},
        }


def encounters(dice: random.Random) -> Iterator[Resource]:
    for number in range(ENCOUNTERS):
        start = EPOCH + timedelta(minutes=15 * dice.randrange(4 * 24 * 365 * 5))
        end = start + timedelta(minutes=15 * dice.randrange(1, 9))
        yield {
            "resourceType": "Encounter",
            "id": f"enc-{number}",
            "status": "finished",
            "class": {"code": dice.choice(["AMB", "EMER", "IMP"])},
            "subject": {"reference": f"Patient/pat-{dice.randrange(PATIENTS)}"},
            "participant": [{"individual": {"reference": f"Practitioner/prac-{dice.randrange(PRACTITIONERS)}"}}],
            "period": {"start": f"{start.isoformat()}Z", "end": f"{end.isoformat()}Z"},
            "reasonCode": [{"text": dice.choice(REASONS)}],
        }


def observations(dice: random.Random) -> Iterator[Resource]:
    for number in range(OBSERVATIONS):
        code, name, unit, mean, spread = dice.choice(MEASURES)
        yield {
            "resourceType": "Observation",
            "id": f"obs-{number}",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": name}]},
            "subject": {"reference": f"Patient/pat-{dice.randrange(PATIENTS)}"},
            "encounter": {"reference": f"Encounter/enc-{dice.randrange(ENCOUNTERS)}"},
            "valueQuantity": {"value": round(dice.gauss(mean, spread), 1), "unit": unit},
        }


def main(directory: Path) -> None:
    """Write one file per resource type, `<type>.ndjson.gz`."""
    directory.mkdir(parents=True, exist_ok=True)
    makers = {
        "Organization": organizations,
        "Practitioner": practitioners,
        "Patient": patients,
        "Encounter": encounters,
        "Observation": observations,
    }
    for name, make in makers.items():
        lines = (json.dumps(resource, separators=(",", ":")) for resource in make(random.Random(name)))
        content = "\n".join(lines).encode() + b"\n"
        (directory / f"{name}.ndjson.gz").write_bytes(gzip.compress(content, mtime=0))


if __name__ == "__main__":
    repository = Path(__file__).resolve().parents[2]
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else repository / "taskrpc" / "sample")
