"""Mails for the content score, from one that nobody could object to, to one that everybody would."""

from postrider.engine.deliverability import Content
from postrider.kit.address import parse_mailbox

FARM = parse_mailbox("Field Farm <hello@mail.fieldfarm.example>")
PROSE = (
    "The first apples are in. This week's box has Discovery and Katy from the top orchard, with beetroot, "
    "chard and the last of the runner beans. On Saturday we open the yard from ten until four: bring a bag, "
    "taste what was pressed on Friday, and walk through the rows with Ann, who planted most of them."
)
SHOP = "https://www.fieldfarm.example"

RECEIPT = Content(
    "Your order 1042 is on its way",
    f'<html lang="en"><body><p>Hello Ben, your box left us this morning and comes tomorrow before noon. '
    f"You need not be at home: the driver knows where to put it, as he did the last time. "
    f'<a href="{SHOP}/orders/1042">See your order</a></p></body></html>',
    from_=FARM,
    headers={"List-Unsubscribe": "<https://mail.fieldfarm.example/u>"},
)
NEWSLETTER = Content(
    "What is in the box this week",
    f'<html lang="en"><body><h1>This week</h1><img src="{SHOP}/a.png" alt="Apples"><p>{PROSE}</p>'
    f'<a href="{SHOP}/box">The box</a> <a href="{{{{unsubscribe}}}}">Unsubscribe</a></body></html>',
    from_=FARM,
)
SALE = Content(
    "Autumn sale: a discount on every box",
    f'<html lang="en"><body><h1>Autumn sale</h1><img src="{SHOP}/a.png" alt="Apples"><p>{PROSE}</p>'
    f"<p>Until Sunday there is a special offer on all boxes, with an exclusive discount for members.</p>"
    f'<a href="{SHOP}/sale">To the sale</a> <a href="{{{{unsubscribe}}}}">Unsubscribe</a></body></html>',
    from_=FARM,
)
CARELESS = Content(
    "SALE NOW ON!!",
    f'<body><img src="{SHOP}/a.png"><img src="{SHOP}/b.png"><p>Hurry, our sale ends soon! '
    f'<a href="http://bit.ly/x1">Click here</a></p></body>',
    from_=FARM,
)
PUSHY = Content(
    "Act now: free money for you!!!",
    "<body><p>Dear friend, this is a once in a lifetime chance to make money and earn extra cash. "
    'No risk, no catch. <a href="http://bit.ly/x1">Click here</a> and order now!</p></body>',
    from_=parse_mailbox("Rich Life <richlife@gmail.com>"),
)
PHISH = Content(
    "RE: URGENT ACTION REQUIRED - VERIFY YOUR ACCOUNT!!!",
    "<body><p>Your account will be closed. Verify your account now!</p>"
    '<a href="http://203.0.113.7/login">https://www.bank.example/login</a>'
    '<form action="http://203.0.113.7/x"><input name="password"></form>'
    '<script>go()</script><div style="display:none">' + PROSE * 2 + "</div></body>",
    from_=parse_mailbox('"service@bank.example" <x91@gmail.com>'),
)
# Best first.
CORPUS = (RECEIPT, NEWSLETTER, SALE, CARELESS, PUSHY, PHISH)
