"""How good a picture is: measures, and the networks that look at pictures for them."""
