"""Roles: what a person or a program outside the device may do, each role more than the one before."""

from typing import Literal, get_args

Role = Literal["view", "teach", "administer"]
"""view: read everything; teach: also teach, undo and relabel; administer: also forget, rename, merge and import."""
ROLES: tuple[Role, ...] = get_args(Role)


def allows(role: Role | None, needed: Role) -> bool:
    """Return whether `role` may do what needs the role `needed`."""
    return role is not None and ROLES.index(role) >= ROLES.index(needed)
