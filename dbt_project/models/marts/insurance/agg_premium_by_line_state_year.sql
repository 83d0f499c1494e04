{{ premium_summary(by=['prod_line', 'state_abbr', 'year']) }}
