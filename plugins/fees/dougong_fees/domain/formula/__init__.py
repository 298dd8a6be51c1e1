"""The free formula: a small typed language of our own for what a room owes.

``if floor > 6 then area * price[yuan/m2] else area * 1.2[yuan/m2]`` is parsed once, its units are
checked, and it is reckoned by Python for one room and by PostgreSQL for all rooms, to the same fen.
"""

from dougong_fees.domain.formula.reckoning import reckon
from dougong_fees.domain.formula.sql import to_sql
from dougong_fees.domain.formula.syntax import Formula, FormulaError, parse
from dougong_fees.domain.formula.units import VARIABLES, check

__all__ = ["VARIABLES", "Formula", "FormulaError", "check", "parse", "reckon", "to_sql"]
