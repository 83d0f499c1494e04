"""What parcels declares about itself."""

from quintet.parcels.card import card
from quintet.parcels.contract import DATASETS
from quintet.parcels.headline import headline
from quintet.parcels.store import MIGRATIONS, RECORDED

from quintet.domain import Domain

PARCELS = Domain(
    name="parcels",
    datasets=DATASETS,
    headline=headline,
    card=card,
    scopes={"parcels:read": "parcels and their carriers", "parcels:note": "writing notes about carriers"},
    migrations=MIGRATIONS,
    recorded=RECORDED,
    web=("quintet.web.pages.parcels",),
    assets=("assets.parcels",),
    samples="quintet.samples.parcels",
)
