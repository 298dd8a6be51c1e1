"""What can be wrong with collecting arrears."""

from dougong.errors import Conflict


class NothingOwed(Conflict):
    """Nothing is overdue of what was chosen, or it stands in another agreement."""

    code = "arrears.nothing_owed"


class AgreementEnded(Conflict):
    """The instalment agreement is no longer in force."""

    code = "arrears.agreement_ended"
