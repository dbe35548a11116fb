"""Price lists: read from a file, and checked, so that a wrong one says what to mend."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any, Final, Self

from facematch.errors import Unusable

PRICES_FILE: Final = Path(__file__).with_name("prices.json")

#: In the place of a region's name: every region of the file.
_EVERYWHERE: Final = "*"


class PricesUnusable(Unusable):
    """A price list that cannot be reckoned with; the text says what to mend."""


@dataclass(frozen=True, slots=True)
class Price:
    """Of one item: how much of it costs how much each, tier after tier.

    Attributes
    ----------
    tiers
        Size and price; the last one has no end.
    assumed
        Whether nobody has seen this price in this region.
    """

    tiers: tuple[tuple[float, float], ...]
    assumed: bool

    def of(self, quantity: float) -> float:
        """What so much costs in a month."""
        cost = 0.0
        for size, price in self.tiers:
            cost += min(quantity, size) * price
            quantity -= min(quantity, size)
        return cost


@dataclass(frozen=True, kw_only=True, slots=True)
class PriceList:
    """The prices of one region."""

    region: str
    currency: str
    date: str
    prices: dict[str, Price]

    def of(self, item: str, quantity: float) -> float:
        """What so much of an item costs in a month."""
        return self.prices[item].of(quantity)

    @property
    def assumed(self) -> list[str]:
        """The items whose price is assumed."""
        return sorted(name for name, price in self.prices.items() if price.assumed)

    @classmethod
    def load(cls, region: str, file: Path = PRICES_FILE) -> Self:
        """Read a region's prices.

        Raises
        ------
        PricesUnusable
            When the file is no price list, or has no price, or an impossible one.
        """
        try:
            document = json.loads(file.read_text())
            currency, date = str(document["currency"]), str(document["date"])
            regions, items = list(document["regions"]), dict(document["prices"])
        except (ValueError, TypeError, KeyError) as error:
            raise PricesUnusable(
                f"{file} is no price list: {error} is wrong or absent. Begin with a copy of "
                f"{PRICES_FILE}."
            ) from None
        if region not in regions:
            raise PricesUnusable(
                f"{file} has no prices of the region {region}. Name one of {', '.join(regions)} "
                "with --region, or add it to a copy of the file and name that with --prices."
            )
        if absent := json.loads(PRICES_FILE.read_text())["prices"].keys() - items.keys():
            raise PricesUnusable(
                f"{file} lacks {', '.join(sorted(absent))}. Add them as in {PRICES_FILE}."
            )
        prices = {}
        for name, item in items.items():
            try:
                prices[name] = _price(item, region)
            except (ValueError, TypeError, KeyError, IndexError, AttributeError):
                raise PricesUnusable(
                    f"{file}: the price of {name} in {region} is none. Write a number, not below "
                    "0, or tiers, each with its size and its price, the last one of the size null."
                ) from None
        return cls(region=region, currency=currency, date=date, prices=prices)


def _price(item: dict[str, Any], region: str) -> Price:
    written = item["prices"].get(region, item["prices"].get(_EVERYWHERE))
    tiers = written if isinstance(written, list) else [[None, written]]
    if tiers[-1][0] is not None:
        raise ValueError(tiers)
    sizes = [*(_number(size) for size, _ in tiers[:-1]), inf]
    prices = [_number(price) for _, price in tiers]
    return Price(tuple(zip(sizes, prices, strict=True)), region in item.get("assumed", ()))


def _number(value: Any) -> float:  # noqa: ANN401 - of a file that somebody wrote
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
        raise ValueError(value)
    return float(value)


def cost_of_calls(region: str, calls: int) -> str:
    """What so many calls of Rekognition cost, as words with the source of the price."""
    try:
        prices = PriceList.load(region)
    except PricesUnusable:  # no price of this region is known
        prices = PriceList.load("us-east-1")
    cost = prices.of("rekognition_call", calls)
    return (
        f"{cost:,.2f} {prices.currency} by the prices in {prices.region} of {prices.date} (check "
        "them)"
    )
