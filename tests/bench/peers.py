"""What other programs took for the same rows and questions, measured before on a machine of two cores: milliseconds."""

SIZES = (10_000, 100_000, 1_000_000)
DASHBOARD, NARROW, STATUS = (
    "dashboard: all",
    "list: status, region and owner",
    "list: status",
)
#: By operation: at each of SIZES, or at any.
PEERS: dict[str, dict[str, tuple[float, ...]]] = {
    "Odoo 17 CRM": {
        DASHBOARD: (43, 206, 1858),
        NARROW: (7.8, 10.7, 19.6),
        STATUS: (15, 26, 128),
        **{"open one": (27,), "create": (49,), "move": (20,)},
    },
    "Creme CRM 2.8": {
        DASHBOARD: (355, 1737, 21180),
        NARROW: (60, 200, 394),
        STATUS: (178, 401, 2536),
        **{"open one": (139,), "create": (44,), "move": (12,)},
    },
    "Apache Superset 6.1": {DASHBOARD: (217, 476, 2032), NARROW: (71, 97, 123), STATUS: (76, 111, 192)},
    "Datasette 1.0a": {
        DASHBOARD: (27, 253, 2328),
        NARROW: (33, 35, 68),
        STATUS: (73, 68, 82),
        **{"open one": (15,), "create": (5,), "move": (4,)},
    },
    "Django admin": {
        DASHBOARD: (21, 245, 879),
        NARROW: (14, 25, 33),
        STATUS: (20, 40, 45),
        **{"open one": (24,), "create": (10,), "move": (11,)},
    },
}
COMPARED = (DASHBOARD, NARROW, STATUS, "open one", "create", "move")
