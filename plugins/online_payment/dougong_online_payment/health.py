"""What the health page says of payment gateways."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from dougong.hookspecs import HealthFinding
from dougong.i18n import gettext
from dougong_online_payment.domain.keys import certificate_ends_at
from dougong_online_payment.models import MerchantAccount

WARN_BEFORE = timedelta(days=30)


def checks(installation: Any) -> list[HealthFinding]:
    """Return whether the accounts in use were tested and their gateways' certificates last.

    Nothing where no account is in use.
    """
    with installation.platform() as session:
        accounts = session.execute(
            select(
                MerchantAccount.number, MerchantAccount.platform_key, MerchantAccount.tested_at
            ).where(MerchantAccount.is_active)
        ).all()
    if not accounts:
        return []
    ends = [(each.number, certificate_ends_at(each.platform_key)) for each in accounts]
    soon = datetime.now(UTC) + WARN_BEFORE
    ending = [f"{number} {at:%Y-%m-%d}" for number, at in ends if at is not None and at < soon]
    untested = [each.number for each in accounts if each.tested_at is None]
    return [
        HealthFinding(
            gettext("Certificates of payment gateways last"),
            not ending,
            ", ".join(ending) or str(len(accounts)),
            gettext("Download the gateway's new certificate or public key and enter it there."),
        ),
        HealthFinding(
            gettext("Merchant accounts were tested"),
            not untested,
            ", ".join(untested),
            gettext("Open the merchant account and press “Test the connection”."),
            is_urgent=False,
        ),
    ]
