"""Who made a dataset and when: the cards that travel in the headers of its file. Nothing is computed from them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

__all__ = ["CreatorMetaData", "MapDatasetMetaData"]


def _creator():
    from gpudl4 import __version__

    return f"gpudl4 {__version__}"


def _now():
    return datetime.now(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")


@dataclass
class CreatorMetaData:
    """Program that made a product, date (UTC, ISO format) and organisation."""

    creator: str | None = field(default_factory=_creator)
    date: str | None = field(default_factory=_now)
    origin: str | None = None

    def to_header(self):
        """FITS cards CREATOR, CREATED and ORIGIN, as far as they are known."""
        cards = {"CREATOR": self.creator, "CREATED": self.date, "ORIGIN": self.origin}
        return {key: value for key, value in cards.items() if value is not None}


@dataclass
class MapDatasetMetaData:
    """Metadata of a `MapDataset`.

    Attributes
    ----------
    creation : CreatorMetaData
        Who made it and when.
    event_type : str or None
        Event types used.
    optional : dict
        Anything a user wants to keep beside; not written to files.
    """

    creation: CreatorMetaData = field(default_factory=CreatorMetaData)
    event_type: str | None = None
    optional: dict = field(default_factory=dict)

    @classmethod
    def from_header(cls, header):
        """From the cards of a primary header; cards that are missing give None."""
        return cls(CreatorMetaData(header.get("CREATOR"), header.get("CREATED"), header.get("ORIGIN")), header.get("EVT_TYPE"))

    def to_header(self):
        """FITS cards of a primary header: the program that writes now and the date of today, the origin as it was."""
        cards = CreatorMetaData(origin=self.creation.origin).to_header()
        if self.event_type is not None:
            cards["EVT_TYPE"] = self.event_type
        return cards
