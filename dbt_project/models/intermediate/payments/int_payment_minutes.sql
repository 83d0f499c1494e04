{{ config(materialized='view') }}
-- A view of every day that has a file; fct_payment_minutes stores the new days.
with days as (
    select distinct day from {{ ref('int_transactions_current') }}
),

minutes as (
    {{ payment_minutes('days') }}
)

select * from minutes
