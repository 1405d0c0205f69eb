"""Stories: screens of the app in an order, each with a title and a sentence, to be walked, told and shared."""
