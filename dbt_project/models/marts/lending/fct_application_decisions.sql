{{ config(tags=['results']) }}
select
    application_id,
    client_id,
    applied_on,
    amount,
    default_probability as score,
    points,
    decision,
    decision_reasons as reasons,
    model_version,
    policy_version
from {{ source('ml_lending_model', 'lending_scores') }}
where is_open
