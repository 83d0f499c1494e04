{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='day') }}
with days as (
    select distinct day
    from {{ ref('int_transactions_current') }}
    {%- if is_incremental() %}
    where _batch_id in {{ unmodelled_batches('transactions') }}
    union
    -- A new status adds a series to every day.
    select day
    from {{ this }}
    group by day
    having count(*) <> 1440 * (select count(distinct status) from {{ ref('int_transactions_current') }})
    {%- endif %}
),

minutes as (
    {{ payment_minutes('days') }}
)

select * from minutes
