"""What was built for it?

Takes: fleet, demand, prices of capacity.
Gives: busy, idle and stranded cost.
Never: lose a cent of capacity cost.
Invariant: customer cost + idle + stranded = capacity cost.
"""
