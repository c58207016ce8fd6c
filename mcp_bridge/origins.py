"""Where something in a catalogue comes from, if it is not the one service of the endpoint. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schema.services import ServiceInfo


@dataclass(frozen=True, slots=True)
class Origin:
    """The services that offer it; several are replicas of one, and any of them will do.

    ``prefix`` is what the endpoint put in front of the address that it has there, and ``name`` the
    name that it has there. An origin without services is the service of the endpoint itself:
    catalogues are kept weakly by their service, and must not hold it.
    """

    services: Sequence[ServiceInfo] = ()
    prefix: str = ""
    name: str = ""

    def service_for(self, usual: ServiceInfo) -> ServiceInfo:
        """The service to call this time."""
        if not self.services:
            return usual
        if len(self.services) == 1:
            return self.services[0]
        return random.choice(self.services)


OWN: Final = Origin()
