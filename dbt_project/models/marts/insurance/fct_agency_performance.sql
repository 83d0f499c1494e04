select
    agency_id,
    prod_abbr,
    state_abbr,
    year,
    months,
    written_premium,
    new_business_premium,
    prev_written_premium,
    earned_premium,
    incurred_losses,
    policies_in_force,
    prev_policies_in_force,
    retained_policies,
    prod_line,
    reported_retention_ratio,
    reported_loss_ratio,
    reported_loss_ratio_3yr,
    reported_growth_rate_3yr,
    {% for figure in agency_figures() -%}
    {{ figure }}_missing_reason,
    {% endfor -%}
    nullif(concat_ws(
        ';'
        {%- for figure in agency_figures() if not figure.startswith('reported_') %},
        case when {{ figure }} is null then '{{ figure }}:' || coalesce({{ figure }}_missing_reason, 'unknown') end
        {%- endfor %}
    ), '') as missing_reasons,
    is_year_complete,
    next_complete_year,
    _batch_id,
    _source_file,
    _source_row
from {{ ref('int_agency_performance_current') }}
join {{ ref('int_complete_years') }} using (agency_id, prod_abbr, state_abbr, year)
