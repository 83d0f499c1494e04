with typed as (
    select
        contract.as_timestamp("timestamp") as dated_at,
        contract.as_minute_of_day("time") as minute_of_undated_row,
        -- An unknown status is a series of its own, not an error.
        lower(trim(status)) as status,
        contract.as_integer("count") as transaction_count,
        {%- if payment_dimensions() %}
        {{ payment_labels() }} as labels,
        {%- endif %}
        _batch_id,
        _source_file,
        _source_row
    from {{ source('raw', 'transactions') }}
    {{ where_batch_is_new('transactions') }}
),

batches as (
    select batch_id as _batch_id, file_date, file_number
    from {{ source('ops', 'batches') }}
    where dataset = 'transactions'
)

select
    coalesce(
        dated_at::date,
        file_date,
        date '{{ var("transactions_anchor_day") }}' + (file_number - 1)::integer
    ) as day,
    case
        when dated_at is null then minute_of_undated_row
        else hour(dated_at) * 60 + minute(dated_at)
    end::integer as minute_of_day,
    status,
    transaction_count,
    {%- if payment_dimensions() %}
    labels,
    {%- endif %}
    _batch_id,
    _source_file,
    _source_row
from typed
join batches using (_batch_id)
