{{ config(unique_key='measurement_category') }}
{{ current_version(
    staged=ref('stg_page_categories'),
    dataset='page_categories',
    key=['measurement_category'],
    content=['page_category'],
) }}
