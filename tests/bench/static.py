"""What the pages that ask no database draw."""

import pandas as pd

METRICS, CHARTS, ROWS = 8, 4, 50
MARKS = [
    {
        **{"key": f"region_{n}", "label": f"Region {n}", "amount": float(1_000_000 * n % 7_000_000)},
        **{"shown": "₹12.3 L", "said": "12 opportunities"},
    }
    for n in range(20)
]
LIST = pd.DataFrame({f"column {c}": [f"value {c} of row {r}" for r in range(ROWS)] for c in range(8)})
