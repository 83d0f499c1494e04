{{ config(unique_key='conversion_id') }}
{{ current_version(
    staged=ref('stg_conversions'),
    dataset='conversions',
    key=['conversion_id'],
    content=[
        'session_id', 'country_name', 'is_mobile', 'ui_element', 'created_at', 'measurement_category',
        'is_scanner_traffic',
    ],
) }}
