"""Every requirement of the wire contract between hypha-rpc clients and the gateway.

An id is the section of the contract and a name. ``test_requirements`` holds the list to its word.
"""

from __future__ import annotations

from typing import Final

from tests.behaviour.requirement import Requirement
from tests.behaviour.requirements_connection import CONNECTION
from tests.behaviour.requirements_manager import MANAGER
from tests.behaviour.requirements_messages import MESSAGES
from tests.behaviour.requirements_others import OTHERS

REQUIREMENTS: Final[list[Requirement]] = [*CONNECTION, *MESSAGES, *MANAGER, *OTHERS]
