{{ premium_summary(by=['agency_id', 'prod_line', 'year']) }}
