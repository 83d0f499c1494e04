{#- The columns of agency performance, shared by its models. -#}

{#- Figures of an agency's product in a state and year. -#}
{% macro agency_figures() %}
    {{ return([
        'retained_policies', 'policies_in_force', 'prev_policies_in_force',
        'new_business_premium', 'written_premium', 'prev_written_premium', 'earned_premium', 'incurred_losses',
        'reported_retention_ratio', 'reported_loss_ratio', 'reported_loss_ratio_3yr', 'reported_growth_rate_3yr',
    ]) }}
{% endmacro %}

{#- Facts about the agency itself, repeated on each of its rows. -#}
{% macro agency_attributes() %}
    {{ return([
        'primary_agency_id', 'primary_agency_id_missing_reason',
        'appointment_year', 'active_producers', 'max_producer_age', 'min_producer_age', 'has_vendor', 'vendor',
        'pl_start_year', 'pl_end_year', 'commissions_start_year', 'commissions_end_year',
        'cl_start_year', 'cl_end_year', 'activity_notes_start_year', 'activity_notes_end_year',
        'cl_bound_ct_mds', 'cl_quo_ct_mds', 'cl_bound_ct_sbz', 'cl_quo_ct_sbz', 'cl_bound_ct_eqt', 'cl_quo_ct_eqt',
        'pl_bound_ct_elinks', 'pl_quo_ct_elinks', 'pl_bound_ct_plrank', 'pl_quo_ct_plrank',
        'pl_bound_ct_eqtte', 'pl_quo_ct_eqtte', 'pl_bound_ct_applied', 'pl_quo_ct_applied',
        'pl_bound_ct_transactnow', 'pl_quo_ct_transactnow',
    ]) }}
{% endmacro %}
