{{ config(unique_key='parcel_id') }}
{{ current_version(
    staged=ref('stg_parcels'),
    dataset='parcels',
    key=['parcel_id'],
    content=['carrier', 'sent_at', 'delivered_at'],
) }}
