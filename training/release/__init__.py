"""What goes to the Hub: one door for every kind, checked before and verified after."""
