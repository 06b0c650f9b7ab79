"""The invented company of the demo in words: its people, lists, places, customers and phrases."""

from __future__ import annotations

#: name, e-mail's local part, role, business unit, regions they cover, weight of their work, skill in winning
PEOPLE = (
    ("Lakshmi Narayanan", "lakshmi", "org_admin", None, (), 0.0, 1.0),
    ("Farhan Qureshi", "farhan", "org_admin", None, (), 0.0, 1.0),
    ("Meena Subramaniam", "meena", "manager", "Industrial Pumps", (), 0.12, 1.2),
    ("Joseph Kurian", "joseph", "manager", "Valves", (), 0.08, 1.1),
    ("Radhika Deshmukh", "radhika", "manager", "Agricultural Pumps", (), 0.05, 1.0),
    ("Asha Venkatesan", "asha", "sales_engineer", "Industrial Pumps", ("Coimbatore", "Outer Coimbatore"), 2.0, 1.25),
    ("Ravi Shankar", "ravi", "sales_engineer", "Valves", ("Chennai",), 1.7, 1.1),
    ("Karthik Rajendran", "karthik", "sales_engineer", "Industrial Pumps", ("Outer Chennai", "Chennai"), 1.4, 0.9),
    ("Divya Palanisamy", "divya", "sales_engineer", "Agricultural Pumps", ("Salem-Erode", "Trichy"), 1.3, 1.15),
    ("Mohammed Ismail", "ismail", "sales_engineer", "Agricultural Pumps", ("Madurai", "Tirunelveli"), 1.0, 0.85),
    ("Sowmya Hegde", "sowmya", "sales_engineer", "Industrial Pumps", ("Bengaluru",), 1.2, 1.05),
    ("Praveen Reddy", "praveen", "sales_engineer", "Industrial Pumps", ("Hyderabad", "Vijayawada"), 0.9, 0.8),
    ("Anjali Menon", "anjali", "sales_engineer", "Valves", ("Kochi",), 0.7, 1.0),
    ("Nikhil Patil", "nikhil", "sales_engineer", "Industrial Pumps", ("Pune", "Gujarat"), 0.8, 0.7),
    ("Suresh Babu", "suresh", "sales_engineer", "Services", ("Coimbatore", "Salem-Erode", "Bengaluru"), 0.9, 0.95),
    ("Gopal Krishnamurthy", "gopal", "application_engineer", "Industrial Pumps", (), 0.0, 1.0),
    ("Nisha Fernandes", "nisha", "application_engineer", "Valves", (), 0.0, 1.0),
    ("Vikram Chandran", "vikram", "viewer", None, (), 0.0, 1.0),
)
#: The engineer who leaves; their open work goes to the others.
LEAVER = "suresh"

#: region, its state, its cities, weight, ease of winning
REGIONS = (
    ("Coimbatore", "Tamil Nadu", ("Coimbatore",), 1.8, 1.2),
    ("Outer Coimbatore", "Tamil Nadu", ("Tiruppur", "Pollachi", "Mettupalayam", "Udumalaipettai"), 1.3, 1.15),
    ("Chennai", "Tamil Nadu", ("Chennai",), 1.7, 1.0),
    ("Outer Chennai", "Tamil Nadu", ("Sriperumbudur", "Kancheepuram", "Tiruvallur", "Chengalpattu"), 1.2, 0.95),
    ("Madurai", "Tamil Nadu", ("Madurai", "Dindigul", "Virudhunagar"), 0.9, 1.0),
    ("Trichy", "Tamil Nadu", ("Tiruchirappalli", "Thanjavur", "Ariyalur"), 0.8, 1.05),
    ("Salem-Erode", "Tamil Nadu", ("Salem", "Erode", "Namakkal"), 1.1, 1.1),
    ("Tirunelveli", "Tamil Nadu", ("Tirunelveli", "Thoothukudi", "Nagercoil"), 0.6, 0.9),
    ("Bengaluru", "Karnataka", ("Bengaluru", "Mysuru", "Tumakuru"), 1.2, 1.0),
    ("Hyderabad", "Telangana", ("Hyderabad", "Sangareddy", "Warangal"), 0.9, 0.8),
    ("Vijayawada", "Andhra Pradesh", ("Vijayawada", "Guntur", "Visakhapatnam"), 0.5, 0.75),
    ("Kochi", "Kerala", ("Kochi", "Thrissur", "Palakkad"), 0.7, 0.95),
    ("Pune", "Maharashtra", ("Pune", "Solapur", "Kolhapur"), 0.6, 0.7),
    ("Gujarat", "Gujarat", ("Ahmedabad", "Vadodara", "Surat"), 0.4, 0.6),
)
LISTS = {
    "region": tuple(row[0] for row in REGIONS),
    "business_unit": ("Industrial Pumps", "Agricultural Pumps", "Valves", "Services"),
    "lead_source": ("Website", "Exhibition", "Dealer", "Referral", "Cold call", "Tender portal", "Existing customer"),
    "lost_reason": ("Price", "Delivery time", "Technical fit", "Competitor relationship", "Project cancelled"),
    "rejected_reason": ("Outside our range", "Credit risk", "No budget", "Duplicate"),
    "disqualify_reason": ("Duplicate", "No requirement", "Not reachable", "Out of territory", "Student or trader"),
}
LOST_WEIGHTS = (46, 17, 12, 14, 11)

FIRMS = (
    "Sri Velavan", "Annapoorani", "Cauvery", "Kongu", "Thirumalai", "Deccan", "Malabar", "Palani Andavar", "Nilgiri",
    "Pandian", "Chola", "Sahyadri", "Godavari", "Vaigai", "Noyyal", "Bhavani", "Amaravathi", "Sakthi Ganesh",
    "Meenakshi", "Rajalakshmi", "Southern Star", "Coromandel Bay", "Hindustan Deep", "Narmada", "Tungabhadra",
    "Ponni", "Kurinji", "Marutham", "Siruvani", "Vel Murugan", "Jaya Durga", "Kaarthigai", "Kamadhenu", "Udaya",
)  # fmt: skip
TRADES = (
    "Spinning Mills", "Textile Processors", "Sugars", "Cements", "Breweries", "Pharma", "Paper Mills", "Dyeing Works",
    "Agro Farms", "Dairy", "Foundries", "Chemicals", "Edible Oils", "Power", "Steels", "Builders", "Engineering",
    "Food Products", "Rice Mills", "Tanneries", "Hospitals", "Irrigation Systems", "Coir Exports", "Rubber",
)  # fmt: skip
FORMS = ("Private Limited", "Limited", "", "LLP", "& Co", "Private Limited")
PUBLIC_BODIES = (
    "{city} City Water Board", "{city} Municipal Corporation", "{city} Cooperative Sugar Mill",
    "{city} Industrial Estate Association", "{city} Farmers Producer Company", "{city} Effluent Treatment Trust",
)  # fmt: skip
FIRST_NAMES = (
    "Arun", "Bhuvana", "Chandra", "Deepak", "Ezhil", "Fathima", "Ganesh", "Harini", "Imran", "Janani", "Kavitha",
    "Mahesh", "Nandini", "Prakash", "Rekha", "Senthil", "Thomas", "Uma", "Vignesh", "Yamuna", "Kiran", "Sneha",
)  # fmt: skip
LAST_NAMES = (
    "Murugesan", "Iyer", "Nair", "Reddy", "Gowda", "Sheikh", "Pillai", "Raman", "Patel", "Kulkarni", "George",
    "Selvaraj", "Naidu", "Balan", "Mathew", "Chettiar", "Rao", "Shetty", "Sundaram", "Joshi",
)  # fmt: skip

#: business unit: products, titles
WORK = {
    "Industrial Pumps": (
        ("pump",),
        ("Boiler feed pumps", "Process pumps for the new line", "Cooling water pumps", "Slurry pumps", "Fire pump set"),
    ),
    "Agricultural Pumps": (
        ("pump",),
        ("Submersible pumps for the season", "Solar pump sets", "Borewell pumps", "Lift irrigation pumps"),
    ),
    "Valves": (
        ("valve",),
        ("Butterfly valves DN200", "Control valves for steam", "Gate valves, annual rate", "Non-return valves"),
    ),
    "Services": (
        ("pump", "pump", "valve"),
        ("Annual maintenance contract", "Pump overhaul at site", "Energy audit and retrofit", "Valve refurbishment"),
    ),
}
NEXT_STEPS = (
    "Visit the site with the application engineer", "Send the revised data sheet", "Call purchase about the budget",
    "Negotiate payment terms", "Wait for the consultant's approval", "Send reference list", "Meet the plant head",
    "Revise the offer for two extra spares", "Follow up on the order date",
)  # fmt: skip
LOST_NOTES = (
    "A local maker was 9 % cheaper.", "They needed it in three weeks.", "The consultant named another make.",
    "The expansion is on hold.", "They stayed with their present supplier.",
)  # fmt: skip
REOPEN_NOTES = ("The customer came back with a new budget.", "The other supplier could not deliver.")
