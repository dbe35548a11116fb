"""How accurate the matching is: labelled photographs, scores, rates, and what they mean."""
