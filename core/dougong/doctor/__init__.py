"""What goes wrong in the field, looked for all at once, with what to do about each.

`examine` is the list behind `dougong doctor` and the page "Health". A check reads only; one that
cannot run is itself a finding.
"""

from dougong.doctor.examining import examine

__all__ = ["examine"]
