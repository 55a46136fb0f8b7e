import {plans} from "legis-edge"; console.log(plans())
